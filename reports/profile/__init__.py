"""Why a case takes as long as it does: the traces of ``pytest bench/ --profile``, read and explained."""
