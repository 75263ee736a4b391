"""How databases of older versions become today's. One file a step, in `versions`; applied by alembic."""
