"""What the notebooks show and check: one folder a notebook, each with its figures, its explorer and its checks."""
