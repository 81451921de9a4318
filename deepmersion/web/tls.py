"""The server's certificate, checked before anything slow begins."""

from __future__ import annotations

import ssl
from pathlib import Path

from deepmersion.errors import ServerError, reason


class _EncryptedError(Exception):
    """The key asks for a password."""


def check_certificate(certificate: Path, key: Path | None) -> None:
    """Check that a server can use a certificate and its key.

    Parameters
    ----------
    certificate : Path
        PEM file of the certificate and, after it, those that vouch for it.
    key : Path, optional
        PEM file of the private key; left out where the certificate's file has it too.

    Raises
    ------
    ServerError
        When a file is missing or unreadable, is not what it should be, or the two do not belong
        together. It names the file that is to blame.
    """
    for path in filter(None, (certificate, key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise ServerError(f"{path} cannot be read ({reason(error)})") from error
    try:
        ssl.create_default_context(cafile=certificate)
    except ssl.SSLError as error:
        raise ServerError(
            f"{certificate} holds no certificate; give --ssl-certfile a PEM file with one"
        ) from error
    _check_key(certificate, key)


def _check_key(certificate: Path, key: Path | None) -> None:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, _refuse_to_ask)
    except _EncryptedError:
        raise ServerError(
            f"the key in {key or certificate} is encrypted, and the server does not ask for its "
            "password; decrypt it with: openssl pkey -in KEY -out NEW-KEY"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"the key in {key or certificate} is not that of {certificate}"
        elif key is None:
            problem = f"{certificate} holds no private key"
        else:
            problem = f"{key} holds no private key"
        raise ServerError(f"{problem}; give --ssl-keyfile the certificate's own key") from error


def _refuse_to_ask() -> str:
    raise _EncryptedError
