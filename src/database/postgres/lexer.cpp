#include "database/postgres/lexer.hpp"

#include <algorithm>
#include <charconv>

namespace souk::database::postgres {
namespace {

enum class Token { blank, end, parameter, other };

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    bool done() const { return at_ >= text_.size(); }
    std::size_t at() const { return at_; }

    Token next() {
        const char c = text_[at_];
        const std::string_view rest = text_.substr(at_);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') return take(1, Token::blank);
        if (rest.starts_with("--")) return take(rest.find('\n'), Token::blank);
        if (rest.starts_with("/*")) return comment();
        if (c == ';') return take(1, Token::end);
        if (c == '\'') return quoted('\'', false);
        if ((c == 'e' || c == 'E') && rest.substr(1).starts_with('\'')) {
            ++at_;
            return quoted('\'', true);
        }
        if (c == '"') return quoted('"', false);
        if (c == '$') return dollar();
        if (is_word(c)) return word();
        return take(1, Token::other);
    }

private:
    Token take(std::size_t size, Token token) {
        at_ = size == std::string_view::npos ? text_.size() : std::min(at_ + size, text_.size());
        return token;
    }

    Token word() {
        // `$` may stand inside a word: no quote begins there.
        while (!done() && (is_word(text_[at_]) || text_[at_] == '$'))
            ++at_;
        return Token::other;
    }

    Token quoted(char quote, bool escapes) {
        for (++at_; !done(); ++at_) {
            if (escapes && text_[at_] == '\\') {
                ++at_;
                continue;
            }
            if (text_[at_] == quote) break;  // a doubled one begins the next, which is the same
        }
        return take(1, Token::other);
    }

    Token comment() {
        int depth = 0;
        do {
            const std::string_view rest = text_.substr(at_);
            if (rest.starts_with("/*")) {
                ++depth;
                at_ += 2;
            } else if (rest.starts_with("*/")) {
                --depth;
                at_ += 2;
            } else {
                ++at_;
            }
        } while (depth > 0 && !done());
        return Token::blank;
    }

    Token dollar() {
        const std::size_t begin = at_++;
        while (!done() && is_word(text_[at_]))
            ++at_;
        const bool number = at_ > begin + 1 && is_digit(text_[begin + 1]);
        if (number) {
            at_ = begin + 1;
            while (!done() && is_digit(text_[at_]))
                ++at_;
            return Token::parameter;
        }
        if (done() || text_[at_] != '$') return Token::other;
        const std::string_view tag = text_.substr(begin, at_ + 1 - begin);
        const std::size_t end = text_.find(tag, at_ + 1);
        at_ = end == std::string_view::npos ? text_.size() : end + tag.size();
        return Token::other;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::vector<std::string> split_script(std::string_view script) {
    std::vector<std::string> statements;
    Lexer lexer(script);
    std::size_t begin = 0;
    bool blank = true;
    auto cut = [&](std::size_t end) {
        if (!blank) statements.emplace_back(script.substr(begin, end - begin));
        blank = true;
    };
    while (!lexer.done()) {
        const std::size_t at = lexer.at();
        const Token token = lexer.next();
        if (token == Token::end) {
            cut(at);
            begin = lexer.at();
        } else if (token != Token::blank) {
            blank = false;
        }
    }
    cut(script.size());
    return statements;
}

std::size_t highest_parameter(std::string_view sql) {
    std::size_t highest = 0;
    Lexer lexer(sql);
    while (!lexer.done()) {
        const std::size_t at = lexer.at();
        if (lexer.next() != Token::parameter) continue;
        std::size_t number = 0;
        std::from_chars(sql.data() + at + 1, sql.data() + lexer.at(), number);
        highest = std::max(highest, number);
    }
    return highest;
}

}  // namespace souk::database::postgres
