"""The subcommands of `oracle`, one a file; `oracle.cli` lists them."""
