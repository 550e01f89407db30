#include "cache/redis/resp.hpp"

#include <hiredis/hiredis.h>

#include <new>

namespace souk::cache {
namespace {

// Nothing that we ask for is longer; a server that sends more is none.
constexpr std::size_t max_unparsed = std::size_t{64} << 20;

Reply::Kind kind_of(int type) {
    switch (type) {
        case REDIS_REPLY_STRING:
            return Reply::Kind::string;
        case REDIS_REPLY_ARRAY:
            return Reply::Kind::array;
        case REDIS_REPLY_INTEGER:
            return Reply::Kind::integer;
        case REDIS_REPLY_STATUS:
            return Reply::Kind::status;
        case REDIS_REPLY_ERROR:
            return Reply::Kind::error;
        default:
            return Reply::Kind::nil;
    }
}

Reply convert(const redisReply& from) {
    Reply reply(kind_of(from.type));
    if (from.type == REDIS_REPLY_INTEGER) reply.integer = from.integer;
    if (from.str != nullptr) reply.text.assign(from.str, from.len);
    if (from.type != REDIS_REPLY_ARRAY) return reply;
    reply.items.reserve(from.elements);
    for (std::size_t i = 0; i < from.elements; ++i)
        reply.items.push_back(convert(*from.element[i]));
    return reply;
}

}  // namespace

std::string format_command(const std::vector<std::string_view>& words) {
    std::vector<const char*> starts;
    std::vector<std::size_t> lengths;
    for (std::string_view word : words) {
        starts.push_back(word.data());
        lengths.push_back(word.size());
    }
    char* formatted = nullptr;
    const int size = redisFormatCommandArgv(
        &formatted, static_cast<int>(words.size()), starts.data(), lengths.data()
    );
    if (size < 0) throw std::bad_alloc();
    std::string command(formatted, static_cast<std::size_t>(size));
    redisFreeCommand(formatted);
    return command;
}

ReplyParser::ReplyParser() : reader_(redisReaderCreate()) {
    if (reader_ == nullptr) throw std::bad_alloc();
}

ReplyParser::~ReplyParser() {
    redisReaderFree(reader_);
}

void ReplyParser::feed(std::string_view bytes) {
    if (redisReaderFeed(reader_, bytes.data(), bytes.size()) != REDIS_OK) broken_ = true;
}

std::optional<Reply> ReplyParser::next() {
    if (broken_) return std::nullopt;
    void* object = nullptr;
    if (redisReaderGetReply(reader_, &object) != REDIS_OK) broken_ = true;
    if (reader_->len - reader_->pos > max_unparsed) broken_ = true;
    if (object == nullptr) return std::nullopt;
    const std::unique_ptr<void, void (*)(void*)> owner(object, freeReplyObject);
    return convert(*static_cast<const redisReply*>(object));
}

}  // namespace souk::cache
