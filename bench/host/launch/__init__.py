"""Several processes that torchrun, or a script that sets the same variables, has started together."""
