"""`python -m saas`: the same as the console script."""

from saas.cli import main

if __name__ == "__main__":
    main()
