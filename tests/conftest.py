"""What all tests share: one thread for torch, and no deadline for an example on a busy machine."""

import os

from hypothesis import settings

# Before torch is imported. Small models are slower on two threads, and threads that wait must not spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
