# souk_embed(<target> <name> <base folder> <files...>): puts the files into the binary. In code:
#   #include "souk/embedded.hpp"
#   namespace souk::embedded { std::span<const File> <name>(); }
# declared by hand where used. `.incbin` costs nothing to compile, whatever the size.
function(souk_embed target name base)
  set(cpp ${CMAKE_CURRENT_BINARY_DIR}/embedded_${name}.cpp)
  set(body "")
  set(rows "")
  set(index 0)
  foreach(file ${ARGN})
    file(RELATIVE_PATH path ${base} ${file})
    string(APPEND body
      "asm(\".section .rodata\\n.balign 16\\n.global souk_embedded_${name}_${index}\\n"
      "souk_embedded_${name}_${index}:\\n.incbin \\\"${file}\\\"\\n"
      ".global souk_embedded_${name}_${index}_end\\nsouk_embedded_${name}_${index}_end:\\n"
      ".byte 0\\n.previous\\n\");\n"
      "extern \"C\" const char souk_embedded_${name}_${index}[];\n"
      "extern \"C\" const char souk_embedded_${name}_${index}_end[];\n")
    string(APPEND rows
      "        {\"${path}\", {souk_embedded_${name}_${index}, static_cast<std::size_t>("
      "souk_embedded_${name}_${index}_end - souk_embedded_${name}_${index})}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  file(GENERATE OUTPUT ${cpp} CONTENT "#include \"souk/embedded.hpp\"
${body}
namespace souk::embedded {
std::span<const File> ${name}() {
    static const File files[] = {
${rows}    };
    return files;
}
} // namespace souk::embedded
")
  set_source_files_properties(${cpp} PROPERTIES OBJECT_DEPENDS "${ARGN}" SKIP_PRECOMPILE_HEADERS ON)
  target_sources(${target} PRIVATE ${cpp})
endfunction()
