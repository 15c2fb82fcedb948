from tests.integration.abuse.conftest import tenants

__all__ = ["tenants"]
