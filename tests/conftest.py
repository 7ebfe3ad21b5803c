"""What all tests share: one thread for torch, and the browser tests last."""

import os

# Before torch is imported. Small models are slower on two threads, and threads that wait must not spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_collection_modifyitems(items):
    """Playwright keeps an event loop running in this thread, which the kernels of nbval would stumble over."""
    items.sort(key=lambda item: "browser" in item.path.parent.parts)
