"""What every route shares: keys, errors, limits, paging, idempotency, the OpenAPI document."""
