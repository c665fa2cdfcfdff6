"""Messages to people about records: by e-mail, SMS or in the product, from templates of the configuration; a log of all of them; who
wants none. Written in the transaction that causes them, sent through the outbox."""

from saas.runtime.messages.bulk import Preview, preview, send_to_many
from saas.runtime.messages.delivering import deliver_message, give_up
from saas.runtime.messages.log import Message, get_message, list_messages, messages_of, send_again
from saas.runtime.messages.opt_outs import CHANNELS, is_out, list_opt_outs, opt_in, opt_out, read_link, unsubscribe_path
from saas.runtime.messages.sending import Sent, send

__all__ = [
    "CHANNELS",
    "Message",
    "Preview",
    "Sent",
    "deliver_message",
    "get_message",
    "give_up",
    "is_out",
    "list_messages",
    "list_opt_outs",
    "messages_of",
    "opt_in",
    "opt_out",
    "preview",
    "read_link",
    "send",
    "send_again",
    "send_to_many",
    "unsubscribe_path",
]
