"""The OCI image through Docker."""
