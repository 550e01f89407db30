#include "http/body_parts.hpp"

#include "souk/log.hpp"

#include <fmt/format.h>

#include <exception>
#include <iterator>

namespace souk::http {
namespace {

Task<Result<std::string>> read(std::shared_ptr<BodyStream> body) {
    std::string fault;
    try {
        co_return co_await body->read();
    } catch (const std::exception& e) {
        fault = e.what();
    }
    Logger("http").error("a body failed", {{"error", fault}});
    co_return Error();
}

}  // namespace

Task<Result<bool>> BodyParts::next(std::string& out) {
    auto part = co_await read(body_);
    if (!part) co_return part.error();
    const bool end = part->empty();
    const bool wrong = left_ && (end ? *left_ > 0 : part->size() > *left_);
    if (wrong) co_return Error(ErrorKind::internal, "internal", "a body of another length");
    if (left_) *left_ -= part->size();
    out.clear();
    if (chunked_)
        fmt::format_to(std::back_inserter(out), "{:x}\r\n{}\r\n", part->size(), *part);
    else
        out.swap(*part);
    co_return !end;
}

}  // namespace souk::http
