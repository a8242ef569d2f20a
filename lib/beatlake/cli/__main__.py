"""`python -m beatlake.cli`."""

from beatlake.cli import main

raise SystemExit(main())
