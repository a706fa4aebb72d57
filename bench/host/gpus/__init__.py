"""What else uses a GPU, whether it may be used at all, and the environment that changes what is measured on it."""
