"""Training: the recipe, the loop, the checkpoint, and the record of a run."""
