"""`python -m trainjobs`, for where the shell does not find `trainjobs`."""

from trainjobs.cli import main

main()
