"""Commands about a cluster of gateways."""

from __future__ import annotations

import typer

from gateway.cli.execution import end, fail, print_lines, read_config
from gateway.cli.options import ConfigFile, Json, examples

app = typer.Typer(help="State of a cluster of gateways.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """State of a cluster of gateways."""


@app.command(epilog=examples("v2x cluster status -c gateway.toml", "v2x cluster status -c gateway.toml --json"))
def status(config: ConfigFile, json: Json = False) -> None:
    """Print instances, stations, holders of leases and lag.

    Reads the records of the cluster at NATS. Exit status 0: every site has a holder that is present.
    """
    import asyncio

    import msgspec

    from gateway.clock import SystemClock
    from gateway.config import ConfigError
    from gateway.config.mapping import cluster_settings

    settings = read_config(config)
    if not settings.cluster.servers:
        fail("cluster status", f"{config} has no [cluster] with servers")
    sites = [one.site.id for one in settings.sites]
    from gateway.cluster import io
    from gateway.cluster import status as cluster

    try:
        found = asyncio.run(cluster.read(cluster_settings(settings), SystemClock(), sites))
    except (io.ClusterError, ConfigError) as error:
        fail("cluster status", error, 1)
    print_lines(msgspec.json.encode(found).decode() if json else cluster.text(found))
    end(0 if found.in_order else 1)
