"""What this process inherits, and what the processes that it has started leave."""
