// A stream's parts as bytes behind a head, the same in a request and in a response: as chunks, or
// bare where a length was announced or the connection's end ends them.
#pragma once

#include "souk/http.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace souk::http {

class BodyParts {
public:
    /// `may_chunk`: whether the other side knows chunks.
    BodyParts(std::shared_ptr<BodyStream> body, bool may_chunk)
        : body_(std::move(body))
        , left_(body_->length())
        , chunked_(may_chunk && !left_)
        , framed_(chunked_ || left_) {}

    /// Reads a part and puts its bytes in place of `out`, at the end those that end the body.
    /// False when nothing follows. Errors: the stream's own; `internal` (it threw, or is not as
    /// long as it said): what was written must not pass for a body.
    Task<Result<bool>> next(std::string& out);
    /// Whether a body that is cut short shows it.
    bool is_framed() const { return framed_; }

private:
    std::shared_ptr<BodyStream> body_;
    std::optional<std::uint64_t> left_;
    const bool chunked_;
    const bool framed_;
};

}  // namespace souk::http
