"""Who may do what: accounts with roles, passwords by argon2, invitations, sessions, and what was done (the audit log).

Tokens (invitations, sessions) are random and only their hashes are stored, so that a copy of the store lets nobody in.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from rather.annotation.store import Store
from rather.errors import ConfigError, RequestError

Role = Literal["owner", "adjudicator", "annotator"]
ROLES: tuple[Role, ...] = get_args(Role)

SESSION_DAYS = 30.0
INVITATION_DAYS = 14.0
MOST_USES = 10_000
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1024  # argon2 reads all of it

_NAME = re.compile(r"[^\W_](?:[\w .@-]{0,62}\w)?")
_WRONG = "name or password is wrong"


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in."""

    id: int
    name: str
    role: Role
    active: bool
    has_password: bool


def add_account(store: Store, name: str, role: Role, password: str | None = None) -> Account:
    """A new account. Raises RequestError for a name that is taken or cannot be one, and for a password that is too short."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise _unfit(
            "name_unfit",
            f"{name!r:.80} cannot be a name: 1 to 64 letters, digits, spaces and . @ - inside, a letter or digit first",
        )
    if store.read("SELECT 1 FROM accounts WHERE lower(name) = lower(:name)", name=name):
        raise _unfit("name_taken", f"the name {name} is taken; choose another")
    hashed = None if password is None else hash_password(password)
    rows = store.write(
        (
            "INSERT INTO accounts (name, role, password, active, created) "
            "VALUES (:name, :role, :password, 1, :now) RETURNING id",
            {"name": name, "role": role, "password": hashed, "now": time.time()},
        )
    )
    return Account(rows[0][0], name, role, True, hashed is not None)


def accounts(store: Store) -> list[Account]:
    """All of them, as they came."""
    rows = store.read("SELECT id, name, role, active, password IS NOT NULL FROM accounts ORDER BY id")
    return [Account(id, name, role, bool(active), bool(has)) for id, name, role, active, has in rows]


def change_account(store: Store, id: int, *, role: Role | None = None, active: bool | None = None) -> None:
    """Another role, or in or out. Who is put out is signed out by it."""
    if role is not None:
        store.write(("UPDATE accounts SET role = :role WHERE id = :id", {"role": role, "id": id}))
    if active is not None:
        store.write(("UPDATE accounts SET active = :active WHERE id = :id", {"active": int(active), "id": id}))
    if active is False:
        store.write(("DELETE FROM sessions WHERE account = :id", {"id": id}))


def set_password(store: Store, id: int, password: str) -> None:
    """A new password; whoever is signed in with the old one is signed out."""
    store.write(
        ("UPDATE accounts SET password = :password WHERE id = :id", {"password": hash_password(password), "id": id}),
        ("DELETE FROM sessions WHERE account = :id", {"id": id}),
    )


def hash_password(password: str) -> str:
    """By argon2id. Raises RequestError for one that is too short or too long."""
    from argon2 import PasswordHasher

    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise _unfit("password_unfit", f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return PasswordHasher().hash(password)


def sign_in(store: Store, name: str, password: str) -> Account:
    """The account of that name. Raises RequestError; it takes as long for a name that is not there."""
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    rows = store.read(
        "SELECT id, name, role, active, password FROM accounts WHERE lower(name) = lower(:name)", name=name.strip()
    )
    hashed = rows[0][4] if rows and rows[0][4] else _nobodys_hash()
    try:
        PasswordHasher().verify(hashed, password[:LONGEST_PASSWORD])
    except VerificationError as error:
        raise RequestError(_WRONG, status=401, code="wrong_password") from error
    if not rows or not rows[0][4] or not rows[0][3]:
        raise RequestError(_WRONG, status=401, code="wrong_password")
    id, name, role, _, _ = rows[0]
    return Account(id, name, role, True, True)


@cache
def _nobodys_hash() -> str:
    """What is verified for a name that is not there, so that the time tells nothing."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(secrets.token_hex())


def invite(store: Store, role: Role, *, account: int | None = None, uses: int | None = 1, days: float) -> str:
    """A token that lets somebody make an account of `role`, or sign in as `account`."""
    token = secrets.token_urlsafe(24)
    now = time.time()
    values = {"token": hashed_token(token), "role": role, "account": account, "uses": uses}
    store.write(
        (
            "INSERT INTO invitations (token, role, account, uses, expires, created) "
            "VALUES (:token, :role, :account, :uses, :expires, :now)",
            {**values, "expires": now + days * 86_400, "now": now},
        )
    )
    return token


def join(store: Store, token: str, name: str | None, password: str | None) -> Account:
    """Sign in by an invitation: as the account it names, or as a new one of this name. Raises RequestError.

    token  the invitation, or the whole link that ends in it
    """
    token = token.strip().rpartition("#")[2]
    rows = store.read(
        "SELECT role, account FROM invitations WHERE token = :token AND expires > :now AND (uses IS NULL OR uses > 0)",
        token=hashed_token(token),
        now=time.time(),
    )
    if not rows:
        raise RequestError(
            "this invitation is not known, used up or too old; ask for another", status=401, code="no_invitation"
        )
    role, own = rows[0]
    if own is not None:
        found = [one for one in accounts(store) if one.id == own and one.active]
        if not found:
            raise RequestError("this account is closed", status=403, code="closed")
        _use(store, token)
        return found[0]
    if not name or not name.strip():
        raise _unfit("name_missing", "choose a name")
    if role == "owner" and not password:
        raise _unfit("password_missing", "an owner needs a password")
    _use(store, token)
    try:
        return add_account(store, name, role, password or None)
    except RequestError:
        _use(store, token, back=True)
        raise


def _unfit(code: str, reason: str) -> RequestError:
    return RequestError(reason, status=422, code=code)


def _use(store: Store, token: str, *, back: bool = False) -> None:
    """Count one use, in one statement: two who come at once do not both get the last one."""
    rows = store.write(
        (
            "UPDATE invitations SET uses = uses - :change WHERE token = :token AND (uses IS NULL OR uses >= :change) RETURNING 1",
            {"token": hashed_token(token), "change": -1 if back else 1},
        )
    )
    if not rows:
        raise RequestError("this invitation is used up; ask for another", status=401, code="no_invitation")


def open_session(store: Store, account: Account) -> str:
    """A token for a cookie."""
    token = secrets.token_urlsafe(32)
    values = {"token": hashed_token(token), "account": account.id, "expires": time.time() + SESSION_DAYS * 86_400}
    store.write(
        ("INSERT INTO sessions (token, account, expires) VALUES (:token, :account, :expires)", values),
        ("DELETE FROM sessions WHERE expires < :now", {"now": time.time()}),
    )
    return token


def close_session(store: Store, token_hash: str) -> None:
    """Sign out."""
    store.write(("DELETE FROM sessions WHERE token = :token", {"token": token_hash}))


def hashed_token(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def log(store: Store, account: int | None, action: str, **detail: Any) -> None:
    """One line of the audit log. Never a secret."""
    values = {"at": time.time(), "account": account, "action": action, "detail": json.dumps(detail, ensure_ascii=False)}
    store.write(
        ("INSERT INTO audit (at, account, action, detail) VALUES (:at, :account, :action, :detail)", values),
    )


def invite_or_key(store: Store, role: Role, *, name: str | None, uses: int | None, days: float) -> str:
    """A token for `uses` new accounts (one, if nothing is said), or the key of an account, which is made if it is new."""
    if not 0 < days <= 3650:
        raise ConfigError(f"--days {days:g}: must be above 0, and 3650 at most")
    if uses is not None and not 1 <= uses <= MOST_USES:
        raise ConfigError(f"--uses {uses}: must be 1 or more, and {MOST_USES:,} at most")
    if name is None:
        return invite(store, role, uses=1 if uses is None else uses, days=days)
    if uses is not None:
        raise ConfigError(
            f"--uses {uses}: counts new accounts; with --name, one account has the key and may use it often"
        )
    found = next((one for one in accounts(store) if one.name.lower() == name.strip().lower()), None)
    if found is not None and found.role != role:
        raise ConfigError(f"{found.name} is {found.role}; say --role {found.role}")
    account = found or add_account(store, name, role)
    return invite(store, role, account=account.id, uses=None, days=days)


def put_account(store: Store, name: str, role: Role, password: str) -> bool:
    """Make an account, or set role and password of one that is there; True if it was made."""
    found = next((one for one in accounts(store) if one.name.lower() == name.strip().lower()), None)
    if found is None:
        add_account(store, name, role, password)
        return True
    set_password(store, found.id, password)
    change_account(store, found.id, role=role)
    return False
