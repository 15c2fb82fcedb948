"""The module that ``dramatiq workers.main`` names. Importing it puts a worker together.

This is the one module with an effect at import, because that is how dramatiq's command line finds
its broker. ``keywright worker`` does the same through ``workers.composition`` and also restarts a
process that dies.
"""

from contextlib import ExitStack

import dramatiq

from workers.composition import compose_worker, spare_the_garbage_collector
from workers.database.open import open_database
from workers.settings import load_settings
from workers.telemetry import configure_logging

settings = load_settings()
configure_logging(settings.log_level, settings.log_format)
# Held until the process ends: the embedded database runs as long as somebody uses it.
_database = ExitStack()
broker = compose_worker(
    settings,
    _database.enter_context(open_database(settings.database_url, settings.data_dir)).conninfo,
)
dramatiq.set_broker(broker)
spare_the_garbage_collector()
