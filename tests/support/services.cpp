#include "support/services.hpp"
