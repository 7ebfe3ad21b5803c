"""What all tests share: one thread for torch."""

import os

# Before torch is imported. Small models are slower on two threads, and threads that wait must not spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
