"""What processes that run the user's code have sent: bounded and validated before anything else sees it."""
