"""Models: on this worker's device, wrapped for several ranks, and their own state whatever wraps them."""
