"""What a function of the store reads or writes in: ``Store.read`` or ``Store.write`` begins it, and ends it.

SQLAlchemy calls it a connection, which is another thing here: a client, a remote system and the settings between
them.
"""

from sqlalchemy.engine import Connection as Transaction

__all__ = ["Transaction"]
