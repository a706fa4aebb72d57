"""Files and places of users: what is read must be a regular file, what is written is whole or not there."""
