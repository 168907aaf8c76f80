"""`python -m weigh`, for an environment whose scripts are not on the path."""

from weigh.cli import main

main()
