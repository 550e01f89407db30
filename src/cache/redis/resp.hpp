// The Redis protocol, by hiredis: commands into bytes, bytes into replies.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace souk::cache {

/// `away`: there was no server to ask, or no answer in time.
struct Reply {
    enum class Kind : std::uint8_t { away, nil, status, error, integer, string, array };
    Reply() = default;
    explicit Reply(Kind kind) : kind(kind) {}

    bool is_error(std::string_view code) const {
        return kind == Kind::error && text.starts_with(code);
    }

    Kind kind = Kind::away;
    std::int64_t integer = 0;
    std::string text;  // of a status, error or string
    std::vector<Reply> items;
};

std::string format_command(const std::vector<std::string_view>& words);

/// Bytes as they come in, replies as they are complete.
class ReplyParser {
public:
    ReplyParser();
    ~ReplyParser();
    ReplyParser(const ReplyParser&) = delete;
    ReplyParser& operator=(const ReplyParser&) = delete;

    void feed(std::string_view bytes);
    /// Nothing until more bytes are fed, or for ever when broken().
    std::optional<Reply> next();
    bool broken() const { return broken_; }

private:
    redisReader* reader_;
    bool broken_ = false;
};

}  // namespace souk::cache
