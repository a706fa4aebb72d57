"""What the tables mean: answers, advice, claims, trust, noise."""
