"""What the notebooks show and check: one folder a notebook, each with its figures, its explorer and its checks."""

import diffrec_lite.widgets  # noqa: F401 (before all others, since it says what to install)
