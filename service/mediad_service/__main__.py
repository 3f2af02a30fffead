"""`python -m mediad_service` is the command `mediad`."""

from __future__ import annotations

from mediad_service.cli import main

if __name__ == "__main__":
    main()
