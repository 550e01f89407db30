// What reaches a mail's header and body, whatever the customer calls himself.
#include "domain/mime.hpp"

#include "domain/mail.hpp"

#include <catch2/catch.hpp>

using namespace souk;
using namespace souk::notification::domain;

namespace {

Message message_to(const std::string& name) {
    Message message;
    message.id = "mail_1";
    message.from = "shop@example.com";
    message.to = "ann@example.org";
    message.to_name = name;
    message.subject = "Hello";
    message.body = "Text\n";
    message.date = from_micros(1'795'435'200'000'000);
    return message;
}

std::string head_of(const std::string& message) {
    return message.substr(0, message.find("\r\n\r\n") + 2);
}

}  // namespace

TEST_CASE("a plain address is one that can't change a header") {
    CHECK(is_plain_address("ann@example.org"));
    CHECK(is_plain_address("ann+shop@sub.example.org"));
    for (std::string_view bad :
         {"",
          "ann",
          "@example.org",
          "ann@",
          "a@b@c",
          "ann @example.org",
          "ann@example.org\r\nBcc: x",
          "<ann@example.org>",
          "ann@example.org,bob@example.org",
          "\"a\"@example.org",
          "\xc3\xa4nn@example.org"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_plain_address(bad));
    }
}

TEST_CASE("header text stays plain when it can and is encoded when it must") {
    CHECK(encode_header_text("Your order SO-1 is paid") == "Your order SO-1 is paid");
    CHECK(encode_header_text("J\xc3\xbcrgen") == "=?UTF-8?B?SsO8cmdlbg==?=");
    CHECK(encode_header_text("a\r\nBcc: b") == "a  Bcc: b");
    CHECK(encode_header_text("=?UTF-8?B?QQ==?=").starts_with("=?UTF-8?B?PT9V"));
}

TEST_CASE("encoded words are short, folded, and never cut a character") {
    std::string text;
    for (int i = 0; i < 100; ++i)
        text += "\xe2\x82\xac";  // three bytes each: 45 is a multiple, so shift it by one
    const auto encoded = encode_header_text("x" + text);
    std::size_t at = 0;
    int words = 0;
    while (at < encoded.size()) {
        auto end = encoded.find("\r\n ", at);
        auto word = encoded.substr(at, end == std::string::npos ? end : end - at);
        CHECK(word.size() <= 75);
        CHECK(word.starts_with("=?UTF-8?B?"));
        CHECK(word.ends_with("?="));
        // Whole characters: 43 or 45 bytes, never 44.
        CHECK((word.size() - 12) % 4 == 0);
        ++words;
        at = end == std::string::npos ? encoded.size() : end + 3;
    }
    CHECK(words == 7);
    const std::string no_utf8(200, '\x80');
    CHECK(encode_header_text(no_utf8).size() > 200);
}

TEST_CASE("a name can neither add a header nor end the head") {
    for (const std::string name :
         {"Eve\r\nBcc: all@example.org",
          "Eve\nBcc: all@example.org",
          "Eve\r\n\r\nbody",
          "\"Eve\" <eve@example.org>",
          "J\xc3\xbcrgen\r\nBcc: x"}) {
        CAPTURE(name);
        const auto text = to_rfc5322(message_to(name));
        const auto head = head_of(text);
        CHECK(head.find("Bcc") == std::string::npos);
        CHECK(head.find("eve@") == std::string::npos);
        CHECK(head.find("\r\n <ann@example.org>\r\nSubject: Hello\r\n") != std::string::npos);
        CHECK(text.substr(head.size()) == "\r\nText\r\n");
    }
}

TEST_CASE("a message carries what RFC 5322 asks for") {
    const auto text = to_rfc5322(message_to("Ann"));
    CHECK(
        text.starts_with("From: shop@example.com\r\nTo: =?UTF-8?B?QW5u?=\r\n <ann@example.org>\r\n")
    );
    CHECK(text.find("\r\nMessage-ID: <mail_1@example.com>\r\n") != std::string::npos);
    CHECK(text.find("\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n") != std::string::npos);
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '\n') CHECK(text[i - 1] == '\r');
}

TEST_CASE("quoted-printable keeps lines short and every byte") {
    CHECK(encode_quoted_printable("a=b\n") == "a=3Db\r\n");
    CHECK(encode_quoted_printable("\xc2\xa3 5 \n.") == "=C2=A3 5=20\r\n.");
    CHECK(encode_quoted_printable("a\rb") == "a=0Db");
    const auto folded = encode_quoted_printable(std::string(500, 'x'));
    for (std::size_t at = 0; at < folded.size();) {
        auto end = std::min(folded.find("\r\n", at), folded.size());
        CHECK(end - at <= 76);
        at = end + 2;
    }
}

TEST_CASE("prices are shown with their currency's decimals and more where they are finer") {
    const auto gbp = Currency::gbp();
    CHECK(unit_price_text(UnitPrice::from_minor(255), gbp) == "2.55 GBP");
    CHECK(unit_price_text(UnitPrice::from_minor(5), gbp) == "0.05 GBP");
    CHECK(unit_price_text(UnitPrice::parse_minor_decimal("0.1").value(), gbp) == "0.001 GBP");
    CHECK(unit_price_text(UnitPrice::from_minor(100), Currency::parse("JPY").value()) == "100 JPY");
    CHECK(unit_price_text(UnitPrice::from_minor(1), Currency::parse("KWD").value()) == "0.001 KWD");
}

TEST_CASE("the same event makes the same mail, and its name is safe as a file's") {
    CHECK(mail_id("evt_1") == mail_id("evt_1"));
    CHECK(mail_id("evt_1") != mail_id("evt_2"));
    CHECK(mail_id("../../etc/passwd").find('/') == std::string::npos);
}
