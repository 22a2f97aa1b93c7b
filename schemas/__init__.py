"""The contract: the schemas of all tables, the laws that every version must satisfy, and the error classes."""

from schemas import caches

caches.choose()
