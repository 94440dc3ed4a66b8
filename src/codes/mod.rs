//! Credential profiles and the trust list: text or card facts in, credential out. Pure.
