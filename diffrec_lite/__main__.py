"""`python -m diffrec_lite` is the same as `diffrec-lite`."""

from diffrec_lite.cli import main

if __name__ == "__main__":
    main()
