//! Made with OpenSSL 3: keys as SPKI, and signatures of `a message`; curves as r and s. Base64.

/// RSA, 2,048 bits.
pub(super) const RSA: &str = concat!(
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvAZtuVSp3ZoaFJCSMxcU/ddZt1ILDVrXgaC9eo5qlcBUimPVoNV1jwiM",
    "nTvzJD5OVIF6GR71Rn8mz34p7jtHu5ibdRWYMiBRtgBMfO8m/X/3HjaslHiH1Gs1eC3f4ZaJoiomqTGGJmGK+rV5vkTXijnfIO8N",
    "y/4X4fSpc3JEkFBLOuztZ7O/d+ljujKLywvYYeQtOG+QXx+xm2nY0uLdWiQuQrJ65iZwnYnZnesAyKHTVOJlepLVD4mzi0Ry/PGY",
    "w0WSF9X/aKixft4GJSidyLpSRHyIki8h4hI8Re0E9D4Pr1QEp/lQpAXzkGS4VlgbTSI6142JF9LzpNj3F1lewQIDAQAB",
);
/// PSS, SHA-256, a salt of 32 bytes.
pub(super) const RSA_SIGNATURE: &str = concat!(
    "D1Cs5C0Ke38mnaW0v29dzm3ht12fX4hp25DX+Eu+8j6wBZ928b06Cttgb3UwChNaVX+fq5iGi1ZD+mbg3zhg+26VKm6O/icmGBfz",
    "e6XMrq6qhaT4HDHbHE2zvr0QmEtD9AzctGx+UCf0iNmgttHmeAeigHp6PGvtFAik57ezbgXEZlE0Hzp+7AMzIc+GqikVc4ArE4zf",
    "eVX8APgCMvz/rXhFAjoUAA1zZAdgE5mSNpYWbiia8tMucrC6hEvwylawMbY2Vi/3+tn3pMkDxG2qvsk0Gy9JOVPay/k8vK4j3+C5",
    "rw7xF0difErDTVO2y+loh84fnG+2UbYOI7D6IBjoFw==",
);
/// The same with a salt of 20 bytes.
pub(super) const RSA_SALT_20: &str = concat!(
    "nl52laLRXW2Kv2TmNuxQ90ISNVTBd5iZxVetvh2WzaQfVe9mgt1LZANrkjLqj7ulx7xhRXUhSSibWDmevbzYT1yKtKIaMLpSTOiZ",
    "twsrZHix/vwX3vMM1DWK9FXKn2AaE+J2Gfz638L9642tY4o5Zg6qkh36oL9sHpFq2fyXDmPapWKu60YqvtRGEmVSUF0h276lpT6z",
    "IXLGYqVPGvQDHY+hDM5IBC5cyqF4dhPlXy7IlKgSc9vMHowf+HVv2z39fSrRVlpUIbLDRz1v9fcKViW03AoF97AKKb0ZuYMMrKQ4",
    "05cOvP01BrMHtNpsj085zj2LW1PamvgV0wQk5shKuw==",
);
/// RSA, 1,024 bits.
pub(super) const RSA_1024: &str = concat!(
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCpC9f8OIcnkfL9wHDzknl3kD/orWp031O+YE3qxh8BY8Hq5cHpMLe27Yvx3vKZ",
    "jZLtQO3/wyjeTSAZasfI0oaKg15asYf8O3fUW/tzZbrgh5eUeOubU7wPMcth9ZhJ/GO70SPu/uEwynM54ZL/j+3xOGhzpn9Qai0C",
    "reLEi1O7UQIDAQAB",
);
/// Ed25519.
pub(super) const ED25519: &str = "MCowBQYDK2VwAyEAFZFFDmbDdhywIRa/0dhYafnIWcWVoLN4Z//yJ2HlTwM=";
/// By it.
pub(super) const ED25519_SIGNATURE: &str =
    "VrGAkElmBudbIXSomDAk3zLbZG8bGUn4VNAbCjTNckFo/YjMtU4tmorQbXPXxk5kzLuDJ4+4x4OnsCeocSDdBQ==";
/// P-384.
pub(super) const P384: &str = concat!(
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE5+uFVmWCnYLyI0/k6lzsI0Q0g5+5I1URI0UzPJVPS3z+FkkqmeRqOk8RW92crLzqkEkk",
    "21POspR1CHDGYwmHRZyo0CZMzsE8BzKHq/NWJ2CUuzxgO92jSkYLZ+fYahz/",
);
/// By it, over SHA-256.
pub(super) const P384_SHA256: &str = concat!(
    "tv4Y6Z9GyaX2vzOqAdDgzvPWTPEwgYWD8mbT6kufr/2Pd4zQdSFekd7Ain48g6y7cYIS/29nsyVGroaofEE6I8PcalEZ2r/3cyMC",
    "lDrlobOSt4dZ4UXSnGgc5Rqik2gm",
);
/// By it, over SHA-384.
pub(super) const P384_SHA384: &str = concat!(
    "mzelCKgEv7XvF6IjUG5OkC6ohzcS8gS7pXMhm6oeLp0tPrFgDx+7rljx/Bq/H/THgzzs40zlM57k3/2R1oprzagV6X7BlAYuCujq",
    "OWrKooZYptTS+cignozLN21P8aiG",
);
/// P-256.
pub(super) const P256: &str = concat!(
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE69Nc3NCWQ+7RlPPpdomHl9mgW+gjFFml2f/ZwezVIMyDo5+nIbJqTK/Yw6R3wM0r",
    "f4IJlmiS4bDZrhuAPS2//A==",
);
/// By it, over SHA-256.
pub(super) const P256_SIGNATURE: &str =
    "Z9UXCwAfGVKg6WrPzB+7dBhnyGAS/hXb/l/aNz+jXC3dnsOT4GlIleckfM3LFjXdQYeb9Po75DApvBT3xjJxOQ==";
/// SM2.
pub(super) const SM2: &str = concat!(
    "MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAE9KFmdJ57SblHHWfulRl8HoHZaTJZxO3CrORO+mrR4cWcOX+2fe6hiaCuJVkcy7HJ",
    "F+YXDrFiNcwS7Hw0UyNvTA==",
);
/// By it, with the distinguishing id 1234567812345678.
pub(super) const SM2_SIGNATURE: &str =
    "fI9b+adkoPplcDiKlX8R9x6ARH6pgN6aVLVqQiwlQonU2hrRAqo/F4woSiSVQGgI0bMSUg4R/cxnQRi0YHjNjg==";
/// A curve that nobody here knows.
pub(super) const SECP256K1: &str = concat!(
    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE0xh6IqXr2V2eK/cICTNOjkGPUs6l9UdJ7KNDZdZC0s2NLkZtYhTYEJuaK/Jn11oGuQif",
    "3s9bhzJhrTFgEWoLGg==",
);
/// A certificate of the P-256 key, for tests, and for recoveries by the OID with the wrong arc.
pub(super) const CERTIFICATE: &str = concat!(
    "MIIBazCCARGgAwIBAgIUBblMoiVosobZ5aBIPpWWUfWV8+IwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGTk9CT0RZMB4XDTI2MTEy",
    "NDExMjUyMloXDTM2MTEyMTExMjUyMlowETEPMA0GA1UEAwwGTk9CT0RZMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE69Nc3NCW",
    "Q+7RlPPpdomHl9mgW+gjFFml2f/ZwezVIMyDo5+nIbJqTK/Yw6R3wM0rf4IJlmiS4bDZrhuAPS2//KNHMEUwJAYDVR0lBB0wGwYL",
    "KwYBBAGON49lAQEGDCsGAQQBAI43j2UBAzAdBgNVHQ4EFgQU/ElKeIxxPy+PoByheeUl3duJcRswCgYIKoZIzj0EAwIDSAAwRQIg",
    "Vw801S8I3IRvTWso+vbrPkzdR0jFaXmYcCOIMF/Xo2kCIQCRxw+7Dp6dQbaiKxmaHMSo9zj1N7SpVK5dQczts6w3Qg==",
);
/// The thumbprint (RFC 7638) of the P-256 key, by Python's hashlib.
pub(super) const THUMBPRINT: &str = "NespBfXx8ToXK3vjvotQsOlzT1NgqpvnHU9Mo_XwdVk";
