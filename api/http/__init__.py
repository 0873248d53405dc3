"""Shared by all routes: keys, errors, limits, paging, idempotency, the OpenAPI document."""
