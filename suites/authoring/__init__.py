"""What is checked when an author registers a workload: names, types of details, signatures, sizes and costs."""
