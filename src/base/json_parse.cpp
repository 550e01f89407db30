// A strict reader over Boost.JSON's tokenizer. Boost.JSON 1.81's own builder keeps the last of
// duplicate members, takes 1e400 for infinity, 2^64 for a double and \u0000 for a character.
#include "souk/json.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace souk::json {
namespace {

using boost::json::error_code;

constexpr std::size_t max_depth = 32;

class Builder {
public:
    // Input is bounded before it comes here (http: max_body), so these need no limits of their own.
    static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

    value take() { return std::move(root_); }
    const std::string& why() const { return why_; }

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_object_begin(error_code&) { return open(value(boost::json::object_kind)); }
    bool on_object_end(std::size_t, error_code& ec) { return close(ec); }
    bool on_array_begin(error_code&) { return open(value(boost::json::array_kind)); }
    bool on_array_end(std::size_t, error_code& ec) { return close(ec); }

    bool on_key_part(std::string_view part, std::size_t, error_code& ec) { return text(part, ec); }
    bool on_key(std::string_view part, std::size_t, error_code& ec) {
        if (!text(part, ec)) return false;
        open_.back().key = std::exchange(text_, {});
        return true;
    }
    bool on_string_part(std::string_view part, std::size_t, error_code& ec) {
        return text(part, ec);
    }
    bool on_string(std::string_view part, std::size_t, error_code& ec) {
        if (!text(part, ec)) return false;
        value string(text_);
        text_.clear();
        return put(std::move(string), ec);
    }

    bool on_number_part(std::string_view part, error_code&) {
        text_.append(part);
        return true;
    }
    bool on_int64(std::int64_t n, std::string_view, error_code& ec) {
        text_.clear();
        return put(value(n), ec);
    }
    bool on_uint64(std::uint64_t n, std::string_view, error_code& ec) {
        text_.clear();
        return put(value(n), ec);
    }
    bool on_double(double, std::string_view part, error_code& ec) {
        text_.append(part);
        std::string number = std::exchange(text_, {});
        if (number.find_first_of(".eE") == std::string::npos)
            return refuse("an integer does not fit into 64 bits", ec);
        // Boost.JSON 1.81 is off by an ulp at times; the standard library rounds correctly.
        double exact = 0;
        auto parsed = std::from_chars(number.data(), number.data() + number.size(), exact);
        if (parsed.ec != std::errc{}) return refuse("a number is out of range", ec);
        return put(value(exact), ec);
    }
    bool on_bool(bool b, error_code& ec) { return put(value(b), ec); }
    bool on_null(error_code& ec) { return put(value(nullptr), ec); }
    bool on_comment_part(std::string_view, error_code&) { return false; }
    bool on_comment(std::string_view, error_code&) { return false; }

private:
    struct Open {
        explicit Open(value container) : container(std::move(container)) {}
        value container;
        std::string key;  // of the member that comes next
    };

    bool refuse(std::string why, error_code& ec) {
        why_ = std::move(why);
        ec = boost::json::error::syntax;
        return false;
    }
    bool text(std::string_view part, error_code& ec) {
        if (part.find('\0') != std::string_view::npos) return refuse("text contains NUL", ec);
        text_.append(part);
        return true;
    }
    bool open(value container) {
        open_.emplace_back(std::move(container));
        return true;
    }
    bool close(error_code& ec) {
        value done = std::move(open_.back().container);
        open_.pop_back();
        return put(std::move(done), ec);
    }
    bool put(value v, error_code& ec) {
        if (open_.empty()) {
            root_ = std::move(v);
            return true;
        }
        Open& parent = open_.back();
        if (parent.container.is_array()) {
            parent.container.get_array().push_back(std::move(v));
            return true;
        }
        bool is_new = parent.container.get_object().emplace(parent.key, std::move(v)).second;
        return is_new || refuse("a member occurs twice in one object", ec);
    }

    value root_;
    std::vector<Open> open_;
    std::string text_;  // of the token being read
    std::string why_;
};

Error malformed(std::string_view why, std::size_t byte) {
    return invalid("malformed_json", fmt::format("{} at byte {}", why, byte));
}

boost::json::parse_options strict_options() {
    boost::json::parse_options options;
    options.max_depth = max_depth;
    return options;
}

}  // namespace

Result<value> parse(std::string_view text) {
    if (text.empty()) return malformed("the text is empty", 0);
    boost::json::basic_parser<Builder> parser(strict_options());
    error_code ec;
    std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
    if (ec) {
        const std::string& why = parser.handler().why();
        return malformed(why.empty() ? ec.message() : why, read);
    }
    if (read < text.size()) return malformed("something follows the value", read);
    return parser.handler().take();
}

std::string serialize(const value& v) {
    return boost::json::serialize(v);
}

}  // namespace souk::json
