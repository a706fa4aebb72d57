"""Cases that run in several processes of a process group: the living ranks of a visit, and what they are told."""
