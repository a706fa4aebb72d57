"""How cases are compiled beside torch.compile's plain call: repeated blocks alone, and several sizes in turn."""
