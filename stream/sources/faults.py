"""What went wrong with a camera, in words. FFmpeg's own words may hold the address with its password: never shown."""

from __future__ import annotations

import errno
import ssl

import av

from stream.errors import OnlookerError, SourceError

UNREACHABLE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL})
ENDED = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.EIO, errno.ENOTCONN})


def login_refused(where: str, *, gave_login: bool) -> SourceError:
    if gave_login:
        return SourceError(
            f"{where} does not accept this user name and password.", action="Correct them.", code="source_login"
        )
    return SourceError(f"{where} asks for a user name and password.", action="Give them.", code="source_login")


def silent(where: str) -> SourceError:
    return SourceError(
        f"{where} does not answer.", action="Check that it is on and in reach of this machine.", code="source_timeout"
    )


def refused(where: str) -> SourceError:
    return SourceError(
        f"{where} refuses the connection.", action="Check the port, and that it is a camera.", code="source_unreachable"
    )


def unreachable(where: str) -> SourceError:
    return SourceError(
        f"There is no way to {where}.", action="Check the address and the network.", code="source_unreachable"
    )


def not_found(where: str) -> SourceError:
    return SourceError(
        f"{where} has no video at this path.",
        action="Look up the path in the camera's manual.",
        code="source_not_found",
    )


def unreadable(where: str) -> SourceError:
    return SourceError(f"What {where} sends is no video that can be read.", code="source_unreadable")


def ended(where: str) -> SourceError:
    return SourceError(f"{where} ended the connection.", action="It is tried again.", code="source_lost")


def untrusted(where: str, reason: str) -> SourceError:
    return SourceError(
        f"The certificate of {where} is not trusted ({reason}).",
        action="Many cameras have one of their own making: accept any certificate of this one (`verify_tls = false`), "
        "or name the file that holds it (`ca_file` in onlooker.toml).",
        code="source_certificate",
    )


def busy(where: str, status: str) -> SourceError:
    return SourceError(
        f"{where} cannot serve the video now ({status}).",
        action="It may serve as many viewers as it can; close one.",
        code="source_refused",
    )


def explained(error: Exception, where: str, *, gave_login: bool = False, opening: bool = False) -> OnlookerError:
    """An error of FFmpeg or of a socket as one for people, who know the camera as `where`."""
    if isinstance(error, OnlookerError):
        return error
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return login_refused(where, gave_login=gave_login)
    if isinstance(error, av.error.HTTPNotFoundError):
        return not_found(where)
    if isinstance(error, av.error.HTTPServerError | av.error.HTTPOtherClientError | av.error.HTTPBadRequestError):
        return busy(where, "5xx" if isinstance(error, av.error.HTTPServerError) else "4xx")
    number = getattr(error, "errno", None)
    if isinstance(error, av.error.ExitError | TimeoutError) or number == errno.ETIMEDOUT:
        return silent(where)
    if isinstance(error, ssl.SSLCertVerificationError):
        return untrusted(where, error.verify_message)
    if isinstance(error, ConnectionRefusedError):
        return refused(where)
    if number in UNREACHABLE:
        return unreachable(where)
    if isinstance(error, av.error.EOFError) or number in ENDED:
        return unreadable(where) if opening and isinstance(error, av.error.EOFError) else ended(where)
    return unreadable(where)
