"""The commands of ``torchduet`` that read finished runs, one file each."""
