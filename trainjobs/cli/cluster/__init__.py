"""Commands that talk to a cluster. Nothing here trains, and nothing imports torch or Ray."""
