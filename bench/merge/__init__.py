"""Makes one file of the runs of several machines, such as shards: visits add up on machines of one kind only."""
