"""The AMQP door: requests as CloudEvents, each taken in once or refused with its reason."""
