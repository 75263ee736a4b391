"""Migrations of databases of older versions. One file a step, in `versions`; applied by alembic."""
